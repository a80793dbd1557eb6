"""The server, for programs that serve it in another way than ``resift serve``: needs ``server``."""

from resift.server.actors import ActorPool, Actors, Ray
from resift.server.answering import error_response
from resift.server.app import Server
from resift.server.config import Config

__all__ = ["ActorPool", "Actors", "Config", "Ray", "Server", "error_response"]
