"""The same job on other tools, each as its users write it in good practice. Nothing here imports the product."""
