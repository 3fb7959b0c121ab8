SELECT scene, request_id, MAX(video) AS video, MAX(uploaded_at) AS uploaded_at, zone, second, class_name,
       COUNT(DISTINCT track_id) AS objects,
       SUM(LEAST(exit_s, second + 1) - GREATEST(enter_s, second)) AS object_seconds,
       COUNT(DISTINCT CASE
         WHEN GREATEST(enter_s, second) <= first_s + 1 OR LEAST(exit_s, second + 1) >= last_s - 1 THEN track_id
       END) AS near_birth_or_end
FROM (
  SELECT v.*, s.first_s, s.last_s
  FROM {zone_visits} AS v
  JOIN {subjects} AS s ON s.scene = v.scene AND s.request_id = v.request_id AND s.track_id = v.track_id
) AS visits
CROSS JOIN UNNEST(GENERATE_ARRAY(CAST(FLOOR(enter_s) AS BIGINT), CAST(FLOOR(exit_s) AS BIGINT))) AS second
GROUP BY scene, request_id, zone, second, class_name
