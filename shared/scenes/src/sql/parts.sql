-- Their segments and trapezoids.
SELECT e.element, e.pick, s.*
FROM {elements} AS e
JOIN {picked} AS k ON k.pick = e.pick
JOIN (
  SELECT scene, kind, name, part, tie, extend_first, extend_last, lo_x, hi_x, lo_y, hi_y, ax, ay, zx, zy,
         right_ax, right_ay, right_zx, right_zy
  FROM {scenes}
  WHERE kind IN ('line', 'zone')
) AS s ON s.scene = k.scene AND s.kind = e.kind AND s.name = e.name
