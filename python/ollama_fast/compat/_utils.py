from typing import Any
def convert_function_to_tool(func: Any) -> Any: raise NotImplementedError
