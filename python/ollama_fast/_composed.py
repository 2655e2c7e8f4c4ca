"""
The blocking functions that are more than a request, and the values that they give.

The package loads this room when one of them is first asked for: it would be a quarter of `import ollama_fast`.
"""

from . import _answers, _bars, _conversation, _doctor, _many, _models, _progress
from ._answers import Parsed as Parsed
from ._answers import Partial as Partial
from ._context import ContextUse as ContextUse
from ._context import check_context as check_context
from ._conversation import Conversation as Conversation
from ._conversation import ToolResult as ToolResult
from ._progress import Progress as Progress
from ._report import Finding as Finding
from ._report import Report as Report
from ._sync import examination, procedure, procedure_stream, task
from ._sync_map import Answers as Answers
from ._sync_map import many
from ._sync_progress import relay

doctor = examination(_doctor.doctor)
"""Look at a host and at all that leads to it, and say what is wrong and what to do."""
parse = procedure(_answers.parse)
"""Answer a conversation in the form of a type, and give a value of that type."""
parse_stream = procedure_stream(_answers.parse)
"""Answer a conversation in the form of a type, and give its value while it arrives, then whole."""
run_tools = procedure(_conversation.run_tools)
"""Answer a conversation with a model that may call functions, as often as it needs them."""
run_tools_stream = procedure_stream(_conversation.run_tools)
"""Answer a conversation with a model that may call functions, and give parts and results as they come."""
call_tool = task(_conversation.call_tool)
"""Call the function that a model's tool call names, and give the message with its result."""
embed_many = many(_many.embed_many)
"""Turn each of many texts into a vector, in batches, over one host or several."""
map_generate = many(_many.map_generate)
"""Complete each of many prompts, over one host or several."""
map_chat = many(_many.map_chat)
"""Answer each of many conversations, over one host or several."""
progress = relay(_progress.progress)
"""Turn the parts of a pull, push or create into how far all of it is."""
show_progress = relay(_bars.show_progress)
"""Show how far a pull, push or create is, and give its parts on."""
ensure_model = procedure(_models.ensure_model)
"""Download a model to the server unless it is there."""
ensure_model_stream = procedure_stream(_models.ensure_model)
"""Download a model to the server unless it is there, and tell how far it is."""
load = procedure(_models.load)
"""Load a model into memory, and wait until it is there."""
unload = procedure(_models.unload)
"""Let the server free the memory that a model takes."""
unload_all = procedure(_models.unload_all)
"""Let the server free the memory of all models, and give their names."""
context_of = procedure(_models.context_of)
"""Ask how many tokens the context of a model has, as it is loaded now."""
wait_ready = procedure(_models.wait_ready)
"""Wait until the server answers, such as after its start."""
