-- Positions inside with no absence longer than the tolerated one between them.
SELECT element, pick, track_id, MIN(first_frame) AS enter_frame, MIN(first_s) AS enter_s, MAX(last_frame) AS exit_frame,
       MAX(last_s) AS exit_s, SUM(frames) AS frames_inside
FROM (
  SELECT i.*, e.pick,
         SUM(CASE WHEN i.first_s - i.before_s <= k.absence_s THEN 0 ELSE 1 END) OVER (
           PARTITION BY i.element, i.track_id ORDER BY i.first_frame ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
         ) AS stay
  FROM (
    SELECT *, LAG(last_s) OVER (PARTITION BY element, track_id ORDER BY first_frame) AS before_s
    FROM {insides}
  ) AS i
  JOIN {elements} AS e ON e.element = i.element
  JOIN {picked} AS k ON k.pick = e.pick
) AS numbered
GROUP BY element, pick, track_id, stay
