-- A second of a track as one row, with a box around its reference points and their hysteresis: what lets most rows be passed
-- over.
SELECT pick, track_id, second, class_name, COUNT(*) AS frames, MIN(frame_index) AS first_frame, MAX(frame_index) AS last_frame,
       MIN(time_s) AS first_s, MAX(time_s) AS last_s,
       MIN(left_x - margin) AS lo_x, MAX(right_x + margin) AS hi_x, MIN(upper_y - margin) AS lo_y, MAX(lower_y + margin) AS hi_y
FROM (
  SELECT k.pick, t.track_id, t.frame_index, CAST(FLOOR(t.time_s) AS BIGINT) AS second, t.class_name, t.time_s,
         (t.x1 * (1 - k.lo_rx) + t.x2 * k.lo_rx) * k.sx AS left_x, (t.x1 * (1 - k.hi_rx) + t.x2 * k.hi_rx) * k.sx AS right_x,
         (t.y1 * (1 - k.lo_ry) + t.y2 * k.lo_ry) * k.sy AS upper_y, (t.y1 * (1 - k.hi_ry) + t.y2 * k.hi_ry) * k.sy AS lower_y,
         1 + k.hysteresis * (t.y2 - t.y1) * k.sy AS margin
  FROM (
    SELECT * FROM {tracks}
  ) AS t
  JOIN {picked} AS k ON k.request_id = t.request_id
) AS points
GROUP BY pick, track_id, second, class_name
