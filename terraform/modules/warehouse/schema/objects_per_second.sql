SELECT request_id, MAX(video) AS video, CAST(FLOOR(time_s) AS BIGINT) AS second, class_name,
       COUNT(DISTINCT track_id) AS objects
FROM tracks
GROUP BY request_id, CAST(FLOOR(time_s) AS BIGINT), class_name
