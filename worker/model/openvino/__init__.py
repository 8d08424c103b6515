"""The backend that runs on OpenVINO."""
