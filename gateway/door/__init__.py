"""How a subscription comes in and its events go out: graphql-transport-ws and server-sent events. Node doors are city/routes.py."""
