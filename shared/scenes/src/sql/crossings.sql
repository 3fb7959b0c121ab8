-- The steps of one stay within the hysteresis are one crossing or none: what counts is on which side it began and ended.
SELECT m.element, m.pick, m.track_id, m.frame_index, m.pts, m.time_s, m.observed, m.x, m.y, m.px, m.py, m.p_frame, m.sign, m.share,
       p.time_s AS p_time_s, p.observed AS p_observed
FROM (
  SELECT *,
         ROW_NUMBER() OVER (PARTITION BY element, pick, track_id, stay, sign ORDER BY n DESC, share DESC, part) AS choice
  FROM (
    SELECT m.*, COALESCE(a.run_first_n, b.run_first_n, -m.n) AS stay,
           COALESCE(a.run_first_s, b.run_first_s) AS stay_first_s,
           COALESCE(a.run_last_s, b.run_last_s) AS stay_last_s,
           SUM(m.sign) OVER (
             PARTITION BY m.element, m.pick, m.track_id, COALESCE(a.run_first_n, b.run_first_n, -m.n)
           ) AS net
    FROM {meets} AS m
    LEFT JOIN {nears} AS a ON a.element = m.element AND a.pick = m.pick AND a.track_id = m.track_id AND a.n = m.n
    LEFT JOIN {nears} AS b ON b.element = m.element AND b.pick = m.pick AND b.track_id = m.track_id AND b.n = m.n - 1
  ) AS stays
) AS m
JOIN {subjects} AS s ON s.pick = m.pick AND s.track_id = m.track_id
JOIN {steps} AS p ON p.pick = m.pick AND p.track_id = m.track_id AND p.n = m.n - 1
WHERE choice = 1 AND net * sign > 0
  AND (stay_first_s IS NULL OR (stay_first_s > s.first_s AND stay_last_s < s.last_s))
