"""What may lie between a voice and the service: codecs, lost packets, noise, rooms, loudspeakers; all simulated."""
