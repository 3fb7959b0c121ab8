SELECT request_id, MAX(video) AS video, CAST(FLOOR(time_s) AS BIGINT) AS second, class_name,
       COUNT(DISTINCT track_id) AS objects, MAX(frames_damaged) AS frames_damaged
FROM tracks
LEFT JOIN (
  SELECT request_id, MAX(frames_damaged) AS frames_damaged FROM requests GROUP BY request_id
) AS damage USING (request_id)
GROUP BY request_id, CAST(FLOOR(time_s) AS BIGINT), class_name
