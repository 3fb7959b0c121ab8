SELECT scene, request_id, MAX(video) AS video, MAX(uploaded_at) AS uploaded_at, class_name, origin, destination,
       SUM(direct) AS moves, SUM(whole) AS identities,
       SUM(direct * GREATEST(near, other_near)) AS moves_near_birth_or_end,
       SUM(whole * GREATEST(near, other_near)) AS identities_near_birth_or_end
FROM (
  SELECT scene, request_id, video, uploaded_at, class_name, element AS destination,
         LAG(element) OVER (PARTITION BY scene, request_id, track_id ORDER BY time_s, element) AS origin,
         near, LAG(near) OVER (PARTITION BY scene, request_id, track_id ORDER BY time_s, element) AS other_near,
         1 AS direct, 0 AS whole
  FROM {events}
  UNION ALL
  SELECT scene, request_id, video, uploaded_at, class_name,
         FIRST_VALUE(element) OVER (
           PARTITION BY scene, request_id, track_id ORDER BY time_s DESC, element DESC
         ) AS destination,
         element AS origin,
         near, FIRST_VALUE(near) OVER (
           PARTITION BY scene, request_id, track_id ORDER BY time_s DESC, element DESC
         ) AS other_near,
         0 AS direct,
         CASE
           WHEN ROW_NUMBER() OVER (PARTITION BY scene, request_id, track_id ORDER BY time_s, element) = 1
             AND COUNT(*) OVER (PARTITION BY scene, request_id, track_id) > 1 THEN 1
           ELSE 0
         END AS whole
  FROM {events}
) AS pairs
WHERE origin IS NOT NULL
GROUP BY scene, request_id, class_name, origin, destination
HAVING SUM(direct) + SUM(whole) > 0
