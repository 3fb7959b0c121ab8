-- A second of a track as one row, with a box around its reference points and, as margin, their largest hysteresis: what lets
-- most rows be passed over. The box is a pixel larger than the points, so that no rounding matters.
SELECT b.pick, b.track_id, b.second, b.class_name, b.frames, b.first_frame, b.last_frame, b.first_s, b.last_s,
       b.lo_x * k.sx - 1 AS lo_x, b.hi_x * k.sx + 1 AS hi_x, b.lo_y * k.sy - 1 AS lo_y, b.hi_y * k.sy + 1 AS hi_y,
       k.hysteresis * b.most_h * k.sy AS margin
FROM (
  SELECT k.pick, t.track_id, CAST(FLOOR(t.time_s) AS BIGINT) AS second, t.class_name, COUNT(*) AS frames,
         MIN(t.frame_index) AS first_frame, MAX(t.frame_index) AS last_frame, MIN(t.time_s) AS first_s, MAX(t.time_s) AS last_s,
         MIN(t.x1 + (t.x2 - t.x1) * k.lo_rx) AS lo_x, MAX(t.x1 + (t.x2 - t.x1) * k.hi_rx) AS hi_x,
         MIN(t.y1 + (t.y2 - t.y1) * k.lo_ry) AS lo_y, MAX(t.y1 + (t.y2 - t.y1) * k.hi_ry) AS hi_y,
         MAX(t.y2 - t.y1) AS most_h
  FROM (
    SELECT * FROM {tracks}
  ) AS t
  JOIN {picked} AS k ON k.request_id = t.request_id
  GROUP BY pick, track_id, second, class_name
) AS b
JOIN {picked} AS k ON k.pick = b.pick
