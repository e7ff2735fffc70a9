"""Pure functions on pictures: geometry, colour, boxes, palettes and overlays."""
