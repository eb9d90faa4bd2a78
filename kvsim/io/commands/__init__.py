"""Launch lines out and in: a deployment as the command that starts it, and back."""

from kvsim.io.commands.engines import engine_commands, engine_line
from kvsim.io.commands.parse import is_launch_line, parse_command
from kvsim.io.commands.vllm import vllm_serve

__all__ = ["engine_commands", "engine_line", "is_launch_line", "parse_command", "vllm_serve"]
