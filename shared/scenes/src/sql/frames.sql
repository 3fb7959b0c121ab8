-- How long each frame with an object lasts: until the next one; over a gap, an even share of it; the last, as the one before.
SELECT pick, frame_index, COALESCE(lasts_s, LAG(lasts_s) OVER (PARTITION BY pick ORDER BY frame_index), 0) AS lasts_s
FROM (
  SELECT pick, frame_index,
         (LEAD(time_s) OVER (PARTITION BY pick ORDER BY frame_index) - time_s)
           / (LEAD(frame_index) OVER (PARTITION BY pick ORDER BY frame_index) - frame_index) AS lasts_s
  FROM (
    SELECT pick, frame_index, MIN(time_s) AS time_s FROM {placed} GROUP BY pick, frame_index
  ) AS seen
) AS followed
