"""The query service: what the topics tell, for whoever asks over HTTP. It only reads; its view comes from the log."""
