"""What is proven of a point, by the definitions: duality, residuals, rays, and trees of bounds."""
