-- The first and the last positions of stays: those with nothing inside for longer than the tolerated absence before or after
-- them. Each is numbered among its kind, and n counts all positions inside.
SELECT element, pick, track_id, frame_index, time_s, n, enters, exits,
       SUM(enters) OVER (PARTITION BY element, pick, track_id ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS stay
FROM (
  SELECT i.element, i.pick, i.track_id, i.frame_index, i.time_s, i.n,
         CASE WHEN i.time_s - i.before_s <= k.absence_s THEN 0 ELSE 1 END AS enters,
         CASE WHEN i.after_s - i.time_s <= k.absence_s THEN 0 ELSE 1 END AS exits
  FROM (
    SELECT element, pick, track_id, frame_index, time_s,
           ROW_NUMBER() OVER (PARTITION BY element, pick, track_id ORDER BY frame_index) AS n,
           LAG(time_s) OVER (PARTITION BY element, pick, track_id ORDER BY frame_index) AS before_s,
           LEAD(time_s) OVER (PARTITION BY element, pick, track_id ORDER BY frame_index) AS after_s
    FROM {insides}
  ) AS i
  JOIN {picked} AS k ON k.pick = i.pick
) AS marked
WHERE enters + exits > 0
