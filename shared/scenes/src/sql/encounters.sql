SELECT scene, request_id, MAX(video) AS video, MAX(uploaded_at) AS uploaded_at, track_a, track_b,
       MAX(class_a) AS class_a, MAX(class_b) AS class_b,
       MIN(time_s) AS start_s, MAX(time_s) AS end_s, MAX(time_s) - MIN(time_s) AS duration_s,
       MIN(distance) AS min_distance, MAX(unit) AS unit
FROM (
  SELECT *, SUM(begins) OVER (
           PARTITION BY pick, track_a, track_b ORDER BY frame_index ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
         ) AS meeting
  FROM (
    SELECT *, CASE
             WHEN time_s - LAG(time_s) OVER (PARTITION BY pick, track_a, track_b ORDER BY frame_index) <= absence_s THEN 0
             ELSE 1
           END AS begins
    FROM (
      SELECT a.pick, a.scene, a.request_id, a.video, a.uploaded_at, a.frame_index, a.time_s, a.absence_s, a.near_s,
             a.track_id AS track_a, b.track_id AS track_b, a.class_name AS class_a, b.class_name AS class_b,
             CASE WHEN a.residual_m IS NULL THEN 'px' ELSE 'm' END AS unit,
             SQRT((a.ground_x - b.ground_x) * (a.ground_x - b.ground_x)
               + (a.ground_y - b.ground_y) * (a.ground_y - b.ground_y)) AS distance
      FROM {placed} AS a
      JOIN {placed} AS b ON b.pick = a.pick AND b.frame_index = a.frame_index
      WHERE a.track_id < b.track_id AND a.near_distance IS NOT NULL
        AND ABS(a.ground_x - b.ground_x) <= a.near_distance AND ABS(a.ground_y - b.ground_y) <= a.near_distance
        AND (a.ground_x - b.ground_x) * (a.ground_x - b.ground_x)
          + (a.ground_y - b.ground_y) * (a.ground_y - b.ground_y) < a.near_distance * a.near_distance
    ) AS close
  ) AS marked
) AS numbered
GROUP BY scene, request_id, pick, track_a, track_b, meeting
HAVING MAX(time_s) - MIN(time_s) >= MAX(near_s)
