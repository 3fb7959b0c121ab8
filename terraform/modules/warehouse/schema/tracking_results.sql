SELECT request_id, track_id, frame_index AS frame_id, class_name, class_id, score AS confidence,
       time_s AS timestamp, STRUCT(x1 AS x1, y1 AS y1, x2 AS x2, y2 AS y2) AS box, frames_damaged
FROM tracks
LEFT JOIN (
  SELECT request_id, MAX(frames_damaged) AS frames_damaged FROM requests GROUP BY request_id
) AS damage USING (request_id)
