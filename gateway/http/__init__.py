"""The server side of HTTP: connections that tell strangers nothing, and a short way for calls that come in masses."""
