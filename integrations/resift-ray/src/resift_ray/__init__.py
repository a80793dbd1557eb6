"""resift on Ray: ``resift_ray.serve`` has the server, ``resift_ray.data`` whole datasets."""
