"""Layers shared by the networks.

Initializers, convolutions and norms, U-Net, image encoder, selective state space model, LSTM cell.
"""
