SELECT scene, request_id, MAX(video) AS video, MAX(uploaded_at) AS uploaded_at, zone, second, class_name,
       COUNT(DISTINCT track_id) AS objects,
       SUM(LEAST(exit_s, second + 1) - GREATEST(enter_s, second)) AS object_seconds
FROM {zone_visits}
CROSS JOIN UNNEST(GENERATE_ARRAY(CAST(FLOOR(enter_s) AS BIGINT), CAST(FLOOR(exit_s) AS BIGINT))) AS second
GROUP BY scene, request_id, zone, second, class_name
