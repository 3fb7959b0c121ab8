-- What an identity did, in order: a line crossed in a direction, or a zone entered. near is 1 within a second of birth or end.
SELECT scene, request_id, video, uploaded_at, track_id, class_name, CONCAT(line, ' ', direction) AS element, time_s,
       CASE WHEN near_birth_or_end THEN 1 ELSE 0 END AS near
FROM {line_crossings}
UNION ALL
SELECT scene, request_id, video, uploaded_at, track_id, class_name, zone AS element, enter_s AS time_s,
       CASE WHEN near_birth_or_end THEN 1 ELSE 0 END AS near
FROM {zone_visits}
