"""dify-repack without a cluster: the same operator, worker and dashboard against an embedded Kubernetes API.

For one machine and for trying out. It is the outermost package: no other one imports it.
"""
