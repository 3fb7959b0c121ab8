-- Unbroken runs of positions within the hysteresis. A position that is near two segments of a line has one rank.
SELECT element, track_id, MIN(n) AS first_n, MAX(n) AS last_n, MIN(time_s) AS first_s, MAX(time_s) AS last_s
FROM (
  SELECT element, track_id, n, time_s, n - DENSE_RANK() OVER (PARTITION BY element, track_id ORDER BY n) AS run
  FROM {touches}
  WHERE near
) AS counted
GROUP BY element, track_id, run
