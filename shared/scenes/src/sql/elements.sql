-- The lines and zones of each request that a scene is asked of, by number, with their boxes.
SELECT ROW_NUMBER() OVER (ORDER BY k.pick, e.kind, e.name) AS element, k.pick, e.kind, e.name, e.lo_x, e.hi_x, e.lo_y, e.hi_y
FROM {picked} AS k
JOIN (
  SELECT scene, kind, name, MIN(lo_x) AS lo_x, MAX(hi_x) AS hi_x, MIN(lo_y) AS lo_y, MAX(hi_y) AS hi_y
  FROM {scenes}
  WHERE kind IN ('line', 'zone')
  GROUP BY scene, kind, name
) AS e ON e.scene = k.scene
