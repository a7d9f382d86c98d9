"""Layers shared by the networks.

Initial distributions, convolutions and norms, U-Net, image encoder, selective state space model, LSTM cell.
"""
