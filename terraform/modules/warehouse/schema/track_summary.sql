SELECT request_id, track_id,
       MAX(video) AS video,
       MAX(class_name) AS class_name,
       MIN(frame_index) AS first_frame,
       MAX(frame_index) AS last_frame,
       MIN(time_s) AS first_seen_s,
       MAX(time_s) AS last_seen_s,
       MAX(time_s) - MIN(time_s) AS dwell_s,
       COUNT(*) AS frames_seen,
       AVG(score) AS mean_score,
       COALESCE(SUM(SQRT(step_x * step_x + step_y * step_y)), 0) AS path_length_px,
       MAX(frames_damaged) AS frames_damaged
FROM (
  SELECT request_id, track_id, video, frame_index, time_s, score,
         FIRST_VALUE(class_name) OVER (PARTITION BY request_id, track_id ORDER BY class_votes DESC, class_name) AS class_name,
         (x1 + x2) / 2 - LAG((x1 + x2) / 2) OVER (PARTITION BY request_id, track_id ORDER BY frame_index) AS step_x,
         (y1 + y2) / 2 - LAG((y1 + y2) / 2) OVER (PARTITION BY request_id, track_id ORDER BY frame_index) AS step_y
  FROM (
    SELECT *, COUNT(*) OVER (PARTITION BY request_id, track_id, class_name) AS class_votes FROM tracks
  ) AS voted
) AS steps
LEFT JOIN (
  SELECT request_id, MAX(frames_damaged) AS frames_damaged FROM requests GROUP BY request_id
) AS damage USING (request_id)
GROUP BY request_id, track_id
