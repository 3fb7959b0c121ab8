-- Unbroken runs of positions within the hysteresis.
SELECT element, track_id, MIN(n) AS first_n, MAX(n) AS last_n, MIN(time_s) AS first_s, MAX(time_s) AS last_s
FROM (
  SELECT element, track_id, n, time_s, n - ROW_NUMBER() OVER (PARTITION BY element, track_id ORDER BY n) AS run
  FROM (
    SELECT element, track_id, n, MIN(time_s) AS time_s
    FROM {touches}
    WHERE near
    GROUP BY element, track_id, n
  ) AS once
) AS counted
GROUP BY element, track_id, run
