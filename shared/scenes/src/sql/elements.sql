-- The lines and zones of each request that a scene is asked of, by number, with their boxes.
SELECT k.pick, e.kind, e.name, e.element, e.lo_x, e.hi_x, e.lo_y, e.hi_y
FROM {picked} AS k
JOIN (
  SELECT scene, kind, name, ROW_NUMBER() OVER (ORDER BY scene, kind, name) AS element,
         MIN(lo_x) AS lo_x, MAX(hi_x) AS hi_x, MIN(lo_y) AS lo_y, MAX(hi_y) AS hi_y
  FROM {scenes}
  WHERE kind IN ('line', 'zone')
  GROUP BY scene, kind, name
) AS e ON e.scene = k.scene
