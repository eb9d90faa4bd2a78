"""LaunchCommand: an engine's launch line as settings."""

from dataclasses import dataclass

from kvsim.errors import SpecError
from kvsim.specs.deployment import Deployment
from kvsim.specs.engine import EngineName, Vllm
from kvsim.specs.hardware import Accelerator
from kvsim.specs.llama_cpp import LlamaCpp
from kvsim.specs.model import ModelSpec
from kvsim.specs.parallel import Parallelism
from kvsim.specs.sglang import Sglang
from kvsim.specs.tensorrt_llm import TensorrtLlm

Settings = Vllm | Sglang | LlamaCpp | TensorrtLlm


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchCommand:
    """What a launch line asks for; `ignored` are its flags that decide no memory known here.

    `model` is the name, path or id on the line; None where it has none.
    """

    engine: EngineName
    model: str | None
    settings: Settings
    parallel: Parallelism
    ignored: tuple[str, ...] = ()

    def deployment(self, *, model: ModelSpec, accelerator: Accelerator) -> Deployment:
        """The deployment that the line starts, with the model and the device it leaves open.

        Raises:
            SpecError: for a line of another engine than vLLM.
        """
        if not isinstance(self.settings, Vllm):
            msg = f"engine={self.engine} must be {EngineName.VLLM}: its settings stand beside"
            raise SpecError(msg)
        return Deployment(
            model=model, accelerator=accelerator, engine=self.settings, parallel=self.parallel
        )
