-- What an identity did, in order: a line crossed in a direction, or a zone entered.
SELECT scene, request_id, video, uploaded_at, track_id, class_name, CONCAT(line, ' ', direction) AS element, time_s
FROM {line_crossings}
UNION ALL
SELECT scene, request_id, video, uploaded_at, track_id, class_name, zone AS element, enter_s AS time_s
FROM {zone_visits}
