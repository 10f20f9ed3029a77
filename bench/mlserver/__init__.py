"""MLServer as a peer: `bench.model_server` measures it; README.md says how."""
