"""resift on Ray: ``resift_ray.serve`` has the server as a Ray Serve application."""
