WITH picked AS (
-- Which requests a scene is asked of, and by how much their pictures differ in size from the one that it was drawn on.
SELECT ROW_NUMBER() OVER (ORDER BY s.scene, r.request_id) AS pick, s.scene, r.request_id, r.video, r.uploaded_at,
       s.width_px / r.width_px AS sx, s.height_px / r.height_px AS sy,
       s.hysteresis, s.absence_s, s.settle_s, s.interval_s, s.cell_px, s.near_distance, s.near_s,
       s.h11, s.h12, s.h13, s.h21, s.h22, s.h23, s.h31, s.h32, s.h33, s.residual_m,
       c.lo_rx, c.hi_rx, c.lo_ry, c.hi_ry
FROM (
  SELECT * FROM scenes WHERE kind = 'scene'
) AS s
JOIN (
  SELECT scene, MIN(ax) AS lo_rx, MAX(ax) AS hi_rx, MIN(ay) AS lo_ry, MAX(ay) AS hi_ry
  FROM scenes
  WHERE kind = 'reference'
  GROUP BY scene
) AS c ON c.scene = s.scene
CROSS JOIN (
  SELECT request_id, MAX(video) AS video, MAX(uploaded_at) AS uploaded_at,
         MAX(width_px) AS width_px, MAX(height_px) AS height_px
  FROM requests
  GROUP BY request_id
) AS r
WHERE REGEXP_CONTAINS(r.video, s.videos)
  AND ABS(s.width_px * r.height_px - s.height_px * r.width_px) <= GREATEST(s.width_px, s.height_px)
),
seconds AS (
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
    SELECT * FROM tracks
  ) AS t
  JOIN picked AS k ON k.request_id = t.request_id
  GROUP BY pick, track_id, second, class_name
) AS b
JOIN picked AS k ON k.pick = b.pick
),
subjects AS (
-- One row an identity and scene: its class is the one that most of its rows have, its reference point is that class's.
SELECT p.pick, p.scene, p.request_id, p.video, p.uploaded_at, p.sx, p.sy, p.hysteresis, p.absence_s, p.settle_s,
       t.track_id, t.class_name, t.first_s, t.last_s,
       COALESCE(c.ax, d.ax) AS rx, COALESCE(c.ay, d.ay) AS ry
FROM (
  SELECT pick, track_id, class_name,
         MIN(first_s) OVER (PARTITION BY pick, track_id) AS first_s,
         MAX(last_s) OVER (PARTITION BY pick, track_id) AS last_s,
         ROW_NUMBER() OVER (PARTITION BY pick, track_id ORDER BY frames DESC, class_name) AS choice
  FROM (
    SELECT pick, track_id, class_name, SUM(frames) AS frames,
           MIN(first_s) AS first_s, MAX(last_s) AS last_s
    FROM seconds
    GROUP BY pick, track_id, class_name
  ) AS votes
) AS t
JOIN picked AS p ON p.pick = t.pick
JOIN (
  SELECT scene, ax, ay FROM scenes WHERE kind = 'reference' AND name = ''
) AS d ON d.scene = p.scene
LEFT JOIN (
  SELECT scene, name, ax, ay FROM scenes WHERE kind = 'reference'
) AS c ON c.scene = p.scene AND c.name = t.class_name
WHERE t.choice = 1
),
placed AS (
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
      SELECT * FROM tracks
    ) AS t
    JOIN subjects AS s ON s.request_id = t.request_id AND s.track_id = t.track_id
    JOIN picked AS k ON k.pick = s.pick
  ) AS points
) AS deep
)
SELECT scene, request_id, MAX(video) AS video, MAX(uploaded_at) AS uploaded_at, track_id, MAX(class_name) AS class_name,
       MAX(unit) AS unit, COUNT(*) AS samples,
       AVG(CASE WHEN 2 * place BETWEEN samples AND samples + 2 THEN speed END) AS median_speed,
       MAX(speed) AS max_speed,
       AVG(CASE WHEN 2 * place BETWEEN samples AND samples + 2 THEN error END) AS median_error,
       MAX(CASE WHEN place = samples THEN error END) AS max_error
FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY scene, request_id, track_id ORDER BY speed, half_second) AS place,
         COUNT(*) OVER (PARTITION BY scene, request_id, track_id) AS samples
  FROM (
    SELECT scene, request_id, video, uploaded_at, track_id, class_name, half_second,
           CASE WHEN residual_m IS NULL THEN 'px/s' ELSE 'm/s' END AS unit,
           SQRT((x - px) * (x - px) + (y - py) * (y - py)) / (t - pt) AS speed,
           SQRT(variance + p_variance + 2 * COALESCE(residual_m, 0) * COALESCE(residual_m, 0)) / (t - pt) AS error
    FROM (
      SELECT *,
             LAG(x) OVER (PARTITION BY scene, request_id, track_id ORDER BY half_second) AS px,
             LAG(y) OVER (PARTITION BY scene, request_id, track_id ORDER BY half_second) AS py,
             LAG(t) OVER (PARTITION BY scene, request_id, track_id ORDER BY half_second) AS pt,
             LAG(variance) OVER (PARTITION BY scene, request_id, track_id ORDER BY half_second) AS p_variance,
             LAG(half_second) OVER (PARTITION BY scene, request_id, track_id ORDER BY half_second) AS p_half_second
      FROM (
        SELECT scene, request_id, video, uploaded_at, track_id, class_name, residual_m,
               FLOOR(time_s * 2) AS half_second, AVG(time_s) AS t, AVG(ground_x) AS x, AVG(ground_y) AS y,
               GREATEST(VAR_POP(ground_x) + VAR_POP(ground_y)
                 - CASE
                     WHEN VAR_POP(time_s) > 0 THEN (COVAR_POP(ground_x, time_s) * COVAR_POP(ground_x, time_s)
                       + COVAR_POP(ground_y, time_s) * COVAR_POP(ground_y, time_s)) / VAR_POP(time_s)
                     ELSE 0
                   END, 0) / COUNT(*) AS variance
        FROM placed
        WHERE ground_x IS NOT NULL
        GROUP BY scene, request_id, video, uploaded_at, track_id, class_name, residual_m, FLOOR(time_s * 2)
      ) AS halves
    ) AS pairs
    WHERE half_second = p_half_second + 1 AND t > pt
  ) AS speeds
) AS ranked
GROUP BY scene, request_id, track_id
