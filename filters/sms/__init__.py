"""SMS: what a sender asked for, what is left of it after the decision, and how each provider says it. Pure.

``http`` and ``message`` hold the values, ``dialect`` what a codec of one provider must do, ``dialects`` the codecs;
text, alphabets and opt-out suffix stand beside them.
"""
