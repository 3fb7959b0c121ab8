-- Where an identity was, on the ground where there is a calibration: in metres, else in pixels of the video. A point at or
-- beyond the horizon is nowhere.
SELECT pick, scene, request_id, video, uploaded_at, track_id, class_name, frame_index, time_s, x, y, residual_m,
       near_distance, near_s, absence_s,
       CASE WHEN h33 IS NULL THEN x / sx ELSE (h11 * x + h12 * y + h13) / depth END AS ground_x,
       CASE WHEN h33 IS NULL THEN y / sy ELSE (h21 * x + h22 * y + h23) / depth END AS ground_y
FROM (
  SELECT *, CASE WHEN h31 * x + h32 * y + h33 > 0 THEN h31 * x + h32 * y + h33 END AS depth
  FROM (
    SELECT s.pick, s.scene, s.request_id, s.video, s.uploaded_at, s.track_id, s.class_name, s.sx, s.sy, s.absence_s,
           t.frame_index, t.time_s,
           t.x1 * s.sx * (1 - s.rx) + t.x2 * s.sx * s.rx AS x, t.y1 * s.sy * (1 - s.ry) + t.y2 * s.sy * s.ry AS y,
           k.near_distance, k.near_s, k.h11, k.h12, k.h13, k.h21, k.h22, k.h23, k.h31, k.h32, k.h33, k.residual_m
    FROM (
      SELECT * FROM {tracks}
    ) AS t
    JOIN {subjects} AS s ON s.request_id = t.request_id AND s.track_id = t.track_id
    JOIN {picked} AS k ON k.pick = s.pick
  ) AS points
) AS deep
