"""STUB: Run(path): .path .model .metrics .config ; load(path, weights='auto') -> Model."""
