from config import load_config
from skymailing import create_app

app = create_app(load_config())
