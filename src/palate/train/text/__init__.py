"""Fine-tuning of language models of three classes (BERT, GPT, T5), and what it makes: text models in folders.

PyTorch and transformers are imported by the functions that train, never with the modules.
"""
