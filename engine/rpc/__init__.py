"""The gRPC service: a controller that other programs rely on, and its client.

gRPC's fork handlers are off: they start threads in the child of any fork, and the short-lived children that this
process makes (for a user namespace, say) must have one thread, and never use a channel.
"""

import os

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"
