"""A Kubernetes cluster of one node, built from source, and what deploy/k8s does in it: `python -m tools.cluster`."""
