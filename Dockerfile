# For machines with NVIDIA GPUs: the wheels bring CUDA, the host its driver and the NVIDIA container toolkit.
# How to build and run it: docs/running.md.
FROM python:3.12-slim
ARG EXTRAS=cuda12,gcs
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility XDG_CACHE_HOME=/cache
WORKDIR /edeline-jax
COPY pyproject.toml PACKAGE.md LICENSE ./
COPY constraints constraints
COPY configs configs
COPY edeline_jax edeline_jax
RUN pip install --no-cache-dir --editable ".[$EXTRAS]" --constraint constraints/python3.12.txt
ENTRYPOINT ["python", "-m"]
CMD ["edeline_jax"]
