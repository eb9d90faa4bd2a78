"""Texts of page Log."""

# ruff: noqa: RUF001 - Chinese has commas, colons and brackets of its own

TEXTS: dict[str, tuple[str, str]] = {
    "log_title": ("Where every GiB went, by your own log", "从启动日志看每一 GiB 的去向"),
    "label_log": ("Paste an engine's start-up log", "粘贴引擎的启动日志"),
    "log_about": (
        "At most 1 MB; the log is read on this server only, and is not part of the link.",
        "不超过 1 MB；日志只在本服务器上读取，不会写入链接。",
    ),
    "label_log_model": ("Model served", "所服务的模型"),
    "help_log_model": (
        "`auto`: as the log says. Choose one where the catalogue lacks the log's name.",
        "`auto`：与日志一致。若目录中没有日志里的名称，请在此选择。",
    ),
    "label_log_gpu": ("GPU of the log", "日志所用的 GPU"),
    "help_log_gpu": (
        "`auto`: as the log says. Choose one where the log prints no total memory.",
        "`auto`：与日志一致。若日志没有打印显存总量，请在此选择。",
    ),
    "log_first": (
        "Paste or upload what vLLM, SGLang, TensorRT-LLM, llama.cpp or Ollama printed when it "
        "started, from its first line to the ready message or the error. You see what it says, "
        "what makes its figures up, and what to change.",
        "请粘贴或上传 vLLM、SGLang、TensorRT-LLM、llama.cpp 或 Ollama 启动时的输出，"
        "从第一行到就绪信息或报错为止。这里会显示日志说了什么、各数字由什么构成、该如何调整。",
    ),
    "log_example": ("Try an example", "试用示例"),
    # what it says
    "log_read": (
        "Engine {engine}, version {version}. Model {model}, taken as {taken}. GPU {gpu}.",
        "引擎 {engine}，版本 {version}。模型 {model}，按 {taken} 计算。GPU {gpu}。",
    ),
    "log_not_said": ("not known", "未知"),
    "outcome_started": ("The engine started.", "引擎已启动。"),
    "outcome_refused": ("The engine refused to start.", "引擎拒绝启动。"),
    "outcome_oom_start": ("Out of memory while starting.", "启动时显存不足。"),
    "outcome_oom_run": ("Out of memory while serving.", "运行时显存不足。"),
    "outcome_crash_other": (
        "The start failed, and not for lack of memory.",
        "启动失败，但原因不是显存不足。",
    ),
    "outcome_incomplete": (
        "The log ends before the start does.",
        "日志在启动完成之前就结束了。",
    ),
    "log_asks": ("Choose above to check more: {ask}", "在上方选择后可以核对更多：{ask}"),
    # what makes it up
    "log_advice": ("What to change", "如何调整"),
    "log_advised": ("- **{knob}**: {change} · {why}", "- **{knob}**：{change} · {why}"),
    "log_check": ("**{name}**: {verdict}", "**{name}**：{verdict}"),
    "log_checks": ("What the figures are made of", "各数字的构成"),
    "log_checks_about": (
        "The parts and what is left over add up to the last row. A figure is explained where "
        "nothing is left beyond rounding and the spread of what is predicted.",
        "各部分与剩余相加等于最后一行。若剩余不超出舍入误差与预测范围，则该数字得到解释。",
    ),
    "log_explained": ("explained", "已解释"),
    "log_unexplained": ("**not explained**", "**未能解释**"),
    "log_left_over": ("left over", "剩余"),
    "log_printed": ("printed", "日志"),
    "log_predicted": ("predicted", "预测"),
    "log_column_part": ("part", "部分"),
    "column_in_bytes": ("memory", "显存"),
    "column_in_tokens": ("tokens", "token"),
    "column_in_blocks": ("blocks", "块"),
    "column_low_high": ("low … high", "下限 … 上限"),
    "log_not_checked": ("Not checked: {reason}", "未核对：{reason}"),
    # what was read
    "log_settings": (
        "{settings} settings and figures as read",
        "读到的 {settings} 项设置与数字",
    ),
    "log_settings_alt": (
        "Table of settings and figures, with the line that each was read on.",
        "设置与数字的表格，附所在行号。",
    ),
    "column_name": ("name", "名称"),
    "column_line": ("line", "行号"),
    "log_not_understood": (
        "{lines} lines about memory that were not understood",
        "{lines} 行与显存有关但未能理解",
    ),
}
