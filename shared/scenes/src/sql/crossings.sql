-- The steps of one stay within the hysteresis are one crossing or none: what counts is on which side it began and ended.
SELECT m.element, l.pick, m.track_id, m.frame_index, m.pts, m.observed, m.sign, m.at_s, m.at_x, m.at_y
FROM (
  SELECT *, SUM(sign) OVER (PARTITION BY element, track_id, stay) AS net,
         ROW_NUMBER() OVER (PARTITION BY element, track_id, stay, sign ORDER BY n DESC, share DESC, part) AS choice
  FROM (
    SELECT m.*, COALESCE(r.first_n, -m.n) AS stay, r.first_s AS stay_first_s, r.last_s AS stay_last_s
    FROM (
      SELECT * FROM {touches} WHERE sign <> 0
    ) AS m
    LEFT JOIN {nears} AS r
      ON r.element = m.element AND r.track_id = m.track_id AND r.first_n <= m.n AND r.last_n >= m.n - 1
  ) AS stays
) AS m
JOIN {elements} AS l ON l.element = m.element
JOIN {subjects} AS s ON s.pick = l.pick AND s.track_id = m.track_id
WHERE choice = 1 AND net * sign > 0
  AND (stay_first_s IS NULL OR (stay_first_s > s.first_s AND stay_last_s < s.last_s))
