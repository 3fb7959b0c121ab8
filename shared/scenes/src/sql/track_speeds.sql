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
        FROM {placed}
        WHERE ground_x IS NOT NULL
        GROUP BY scene, request_id, video, uploaded_at, track_id, class_name, residual_m, FLOOR(time_s * 2)
      ) AS halves
    ) AS pairs
    WHERE half_second = p_half_second + 1 AND t > pt
  ) AS speeds
) AS ranked
GROUP BY scene, request_id, track_id
