-- 32 frames of a track as one row, with the extent of its reference points: what lets most rows be passed over.
SELECT pick, track_id, frame_index >> 5 AS block, class_name, COUNT(*) AS class_rows,
       MIN(time_s) AS first_s, MAX(time_s) AS last_s,
       MIN((x1 * (1 - lo_rx) + x2 * lo_rx) * sx) AS lo_x, MAX((x1 * (1 - hi_rx) + x2 * hi_rx) * sx) AS hi_x,
       MIN((y1 * (1 - lo_ry) + y2 * lo_ry) * sy) AS lo_y, MAX((y1 * (1 - hi_ry) + y2 * hi_ry) * sy) AS hi_y,
       MAX((y2 - y1) * sy) AS most_h
FROM (
  SELECT * FROM {tracks}
) AS t
JOIN {picked} USING (request_id)
GROUP BY pick, track_id, frame_index >> 5, class_name
