-- A block's box together with those of the blocks before and after it, since a step leads from one to the next.
SELECT pick, track_id, block,
       LAG(block) OVER (PARTITION BY pick, track_id ORDER BY block) AS block_before,
       MIN(lo_x) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS lo_x,
       MAX(hi_x) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS hi_x,
       MIN(lo_y) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS lo_y,
       MAX(hi_y) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS hi_y,
       MAX(most_h) OVER (PARTITION BY pick, track_id ORDER BY block ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS most_h
FROM (
  SELECT pick, track_id, block, MIN(lo_x) AS lo_x, MAX(hi_x) AS hi_x, MIN(lo_y) AS lo_y, MAX(hi_y) AS hi_y,
         MAX(most_h) AS most_h
  FROM {blocks}
  GROUP BY pick, track_id, block
) AS whole
